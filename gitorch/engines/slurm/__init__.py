"""The engine of Slurm, an adapter over sbatch, squeue and scancel."""
