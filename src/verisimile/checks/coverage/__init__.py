"""Coverage: how often intervals on observables of a mixture contain the truth."""
