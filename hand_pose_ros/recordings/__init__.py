"""Recordings: MCAP bags of episodes, their data as time series, and data sets made of them. No ROS is needed."""
