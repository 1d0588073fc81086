"""Denoising diffusion: noise schedules and samplers, independent of any network and of what the data are."""
