from .agreement import agreement as agreement
from .forced_choice import forced_choice as forced_choice
from .preference import preference as preference
from .scale import scale_ratings as scale_ratings
from .table import read_ratings as read_ratings
