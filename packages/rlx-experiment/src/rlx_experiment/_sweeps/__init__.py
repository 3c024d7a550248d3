"""Many runs of one experiment: on this machine, a Slurm cluster or Ray."""
