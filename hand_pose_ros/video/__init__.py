"""Sources of images without a camera driver: files, webcams, folders, recordings and the rendered clip."""
