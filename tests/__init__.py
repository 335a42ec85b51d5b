import tests.support.owners_double  # noqa: F401  # until SessionManager has these methods
