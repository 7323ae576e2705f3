from .discrepancy.profile import minos_expectation as minos_expectation
from .minos import MinosInterval as MinosInterval
from .minos import minos_interval as minos_interval
from .minos import minos_observable as minos_observable
from .solvers.device import DeviceNewton as DeviceNewton
from .solvers.minuit import MinuitSolver as MinuitSolver
from .solvers.torch_minimize import TorchSolver as TorchSolver
