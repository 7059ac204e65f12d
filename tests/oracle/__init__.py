"""The same scenario under the real uWSGI and under spoolsim, compared."""
