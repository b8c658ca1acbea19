"""What a network computes, counted exactly: a run (`operations`) and a training step (`backward`)."""
