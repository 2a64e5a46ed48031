//! Rules of naming and dependency, and versions that survive races, lost answers and dead processes.
