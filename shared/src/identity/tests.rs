//! Users, sessions and revocations over a store in a directory; no Redis is asked here but where a test starts one.
