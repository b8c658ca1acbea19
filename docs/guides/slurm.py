"""Workers in jobs of Slurm, for a command of tetviz: python slurm.py landscape tet.pt."""

import subprocess
import sys

from dask_jobqueue import SLURMCluster

if __name__ == "__main__":
    with SLURMCluster(cores=1, processes=1, memory="8GB", walltime="04:00:00") as cluster:
        cluster.scale(jobs=2)
        sys.exit(subprocess.call(["tetviz", *sys.argv[1:], "--scheduler", cluster.scheduler_address]))
