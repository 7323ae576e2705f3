from .calo.files import read_showers as read_showers
from .derived import derived as derived
from .expressions import Condition as Condition
from .expressions import Expression as Expression
from .feature import Feature as Feature
