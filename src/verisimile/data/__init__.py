"""Events with named features, their files, transforms, splits, and toy truths."""
