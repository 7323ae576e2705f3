from .cdf import one_sample_tests as one_sample_tests
from .likelihood import likelihood as likelihood
from .likelihood import likelihood_test as likelihood_test
