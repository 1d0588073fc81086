"""What every node uses: parameters, process, diagnostics."""
