"""The package tracks hands over time: it keeps their track ids and predicts where to search next."""
