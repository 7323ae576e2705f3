"""The w_i f_i mixture: weight fit, covariance, propagation, sampling."""
