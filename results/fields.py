"""Array fields that several result types share."""

from functools import partial

from tetviz.results.plain import MOST_TIMESTEPS
from tetviz.results.schema import array, attribute

index = partial(array, units="1", dtype="int64")
position = partial(index, first=0)
done = partial(array, units="1", long_name="1 where the point has been evaluated", dtype="int8", least=0)
count = partial(array, units="1", dtype="int64", least=0, most=2**56)
flag = partial(array, units="1", dtype="int8", least=0, most=1)
axis = partial(array, units="1", rising=True)
sdt_loss = partial(array, units="nat", long_name="cross-entropy of the mean output of steps 1..t (TET paper, eq. 7)")
tet_loss = partial(array, units="nat", long_name="mean cross-entropy of the outputs of steps 1..t (TET paper, eq. 9)")
accuracy = partial(array, units="1", long_name="accuracy of the mean output of steps 1..t", least=0, most=1)
step_accuracy = partial(array, units="1", long_name="accuracy of the output of step t alone", least=0, most=1)
sdt_loss_se = partial(array, units="nat", long_name="standard error of sdt_loss over samples", least=0)
tet_loss_se = partial(array, units="nat", long_name="standard error of tet_loss over samples", least=0)
timestep = partial(index, ("timestep",), long_name="number of timesteps, from 1", most=MOST_TIMESTEPS)
t_train = partial(attribute, 0, least=0, most=MOST_TIMESTEPS)
asked_loss = partial(attribute, among=("sdt", "tet"))
sample = partial(index, ("sample",), long_name="index of each evaluated sample in its split, in order")
length = partial(
    index, ("sample",), long_name="steps of the sample in the longest run", least=1, most=MOST_TIMESTEPS, optional=True
)
calibration = partial(
    index,
    ("calibration",),
    long_name="index of each train sample that batch-norm statistics are re-estimated on, in order",
)
