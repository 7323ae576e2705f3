from .inception import inception_score as inception_score
from .study import support_metrics as support_metrics
