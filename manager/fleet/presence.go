package fleet

import (
	"context"
	"time"

	"odcm"
)

// Run hints at servers whose agents fall silent or are heard again, until the context ends. Silence writes no row, so
// without it an open page would not learn of it. Every replica may run it: hints do no harm twice.
func (s *Service) Run(ctx context.Context) error {
	online := map[odcm.ServerID]bool{}
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	for {
		servers, err := s.Servers(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.Logger.Warn("the fleet's presence cannot be read; trying again", "error", err)
		default:
			s.Bus.Publish(s.turned(online, servers)...)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
	}
}

// turned lists the topics of the servers that are online now and were not, or the other way round, and remembers.
func (s *Service) turned(online map[odcm.ServerID]bool, servers []Server) []string {
	var topics []string
	for _, server := range servers {
		is := server.Online(s.Now())
		if was, known := online[server.ID]; known && was != is {
			topics = append(topics, serverTopic(server.ID))
		}
		online[server.ID] = is
	}
	return topics
}
