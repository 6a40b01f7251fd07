cdef int effective_threads(object n_jobs) except -1
