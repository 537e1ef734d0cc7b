package identity

import "odcm/manager/identity/password"

// Cheapen makes passwords of new hashes cheap to check, for tests that are not about their cost.
func (s *Service) Cheapen() { s.passwords.Cost = password.Cost{Memory: 64, Time: 1, Threads: 1} }
