"""What many tests stand on: private servers, real processes, waiting with a bound."""
