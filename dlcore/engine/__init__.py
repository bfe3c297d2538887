"""How runs are executed: axes, programs, devices, results, stores."""
