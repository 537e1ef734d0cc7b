package fleet

import "time"

// SetBeat makes presence be looked at more often than people need.
func (s *Service) SetBeat(beat time.Duration) { s.beat = beat }
