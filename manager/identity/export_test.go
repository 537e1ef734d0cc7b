package identity

// Cheapen makes passwords of new hashes cheap to check, for tests that are not about their cost.
func (s *Service) Cheapen() { s.cost = cost{memory: 64, time: 1, threads: 1} }
