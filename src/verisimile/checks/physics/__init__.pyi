from .histograms import marginal_pair as marginal_pair
