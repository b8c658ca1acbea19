"""Is a network fit to be measured?

Ten experiments on copies of it: does the same point give the same numbers twice, do all layers fire, is a short run the
beginning of a longer one?
"""

from tetviz.training import Checkpoint, load_data
from tetviz.training.doctor import examine

model, test = Checkpoint.load("tet.pt").model(), load_data("digits", split="test")
for finding in examine(model, test, timesteps=4):
    print(f"{finding.verdict:<8} {finding.check:<16} {finding.message}")
