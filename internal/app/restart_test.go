package app_test

// serveEnv names the variable that makes this test binary a Souk.
const serveEnv = "SOUK_TEST_SERVE"

func serveUntilKilled(string) {}
