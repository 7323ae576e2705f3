from .local import PosteriorPoints as PosteriorPoints
from .local import local_posterior_test as local_posterior_test
from .simulations import posterior_draws as posterior_draws
