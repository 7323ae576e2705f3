from .in_context import ContextBins as ContextBins
from .in_context import SmallestP as SmallestP
from .in_context import SumOfBins as SumOfBins
from .refine import Look as Look
from .search import Search as Search
from .surprise import Surprise as Surprise
from .toys import Sequential as Sequential
