"""The task trains the mesh diffusion network on renders, whose labels give the posed mesh."""
