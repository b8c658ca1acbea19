from doctor_networks import Calls, Foreign, T, batches_for, healthy_batches, sick, verdicts, warmed
from torch import nn
from wording import heard

from tetviz.models import LIF, SpikingNetwork
from tetviz.training.doctor import examine


def test_a_layer_that_averages_over_all_steps_is_named():
    average = Calls(lambda x: x.mean(0, keepdim=True).expand_as(x))
    message = sick(Foreign(average), "causal in t")
    assert "a run of 4 steps does not begin like one of 1" in message and "middle (Calls) lets later" in message


def test_a_network_that_averages_without_a_layer_is_named():
    class Averages(Foreign):
        def forward(self, x, timesteps):
            return super().forward(x, timesteps).mean(0).expand(timesteps, -1, -1)

    heard(sick(Averages(), "causal in t"), "network Averages")


def test_the_layer_is_found_in_a_batch_first_network():
    class BatchFirst(Foreign):
        def forward(self, x, timesteps):
            spikes_BT = self.neuron(self.first(x.flatten(1)).expand(timesteps, -1, -1)).transpose(0, 1)
            merged = self.front(spikes_BT)
            return self.last(self.middle(merged.view_as(spikes_BT))).transpose(0, 1)

    assert verdicts(examine(BatchFirst(), healthy_batches(), T))["causal in t"] == "ok"
    average = Calls(lambda x: x - x.mean(1, keepdim=True))
    message = sick(BatchFirst(average, front=nn.Flatten(0, 1)), "causal in t")
    heard(message, "middle Calls")


def test_a_layer_that_takes_the_next_frame_is_named():
    ahead = Calls(lambda x: x.roll(-1, 0))
    message = sick(Foreign(front=ahead), "causal in t")
    heard(message, "outputs depend")


def test_batch_statistics_in_eval_are_named():
    model = warmed()
    channels = model.features[2].norm.num_features
    model.features[2].norm = nn.BatchNorm2d(channels, track_running_stats=False)
    message = sick(model.eval(), "causal in t", batches_for(warmed(), 1, 16))
    heard(message, "1 features.2.norm BatchNorm2d")
    assert "track_running_stats=True" in message


def test_a_network_of_ours_that_averages_when_run_in_whole_is_named():
    class Averages(SpikingNetwork):
        def __init__(self):
            super().__init__()
            self.first, self.lif, self.average = nn.Linear(9, 4), LIF(), Calls(lambda x: x - x.mean(0))

        def body(self, x_TBCHW):
            return self.average(self.lif(self.first(x_TBCHW.flatten(2))))

    message = sick(Averages(), "causal in t")  # step by step it has nothing to average over
    assert "does not begin like one of" in message and "average (Calls) lets later" in message


def test_rounding_is_no_failure():
    # Sums over a merged axis whose order depends on T: the same function, other last bits.
    def sums(x):
        large = 1e7 * len(x)
        return (x + large) - large

    message = sick(Foreign(Calls(sums)), "causal in t", verdict="warning")
    heard(message, "up rounding")


def test_a_network_without_sequences_is_told():
    class Images(Foreign):
        def forward(self, x, timesteps):
            if x.dim() == 5:
                raise ValueError("images only")
            return super().forward(x, timesteps)

    assert "not tested" in sick(Images(), "causal in t", verdict="ok")
