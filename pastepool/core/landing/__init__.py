"""
Decide from bytecode where in an application an exception may be raised without leaving a lock or a resource behind.

``listing`` reads the instructions of a function, ``cover`` says which handlers protect each of them, ``handlers`` says
what each handler does, ``chart`` grades every instruction of one function, ``standard_library`` names the files in which
nothing is raised, and ``verdict`` grades a whole stack of calls.

Pure: it reads code objects and raises nothing. The tests raise an exception at every instruction of some thirty shapes
of source code, on each CPython, and compare what is left behind with what these modules say.
"""
