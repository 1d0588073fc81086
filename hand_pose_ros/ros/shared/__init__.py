"""Parts that all nodes share: parameters, process, diagnostics."""
