"""Files of data sets and the index that makes them accessible at random; nothing here knows a hand."""
