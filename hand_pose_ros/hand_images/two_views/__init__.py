"""3D labels of hands in two synchronised, calibrated videos."""
