"""What must happen as time passes. Every replica does it; row locks share the work, no leader."""
