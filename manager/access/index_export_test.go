package access

import "odcm"

// TellForTest tells those who listen of a Space.
func (s *Service) TellForTest(space odcm.SpaceID) { s.tell([]odcm.SpaceID{space}) }
