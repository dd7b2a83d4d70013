"""What the platform promises: how each claim is kept, what checks it, and where to report that it is not."""
