package main

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

// running is a Space server in this process.
type running struct {
	server       *spaceserver.Server
	data, listen string
	client       *octoclient.Client
	team         string // route of the team that ODCM fills
	bareUser     string // route of somebody of whom ODCM knows nothing
	bareTeam     string // route of that one's team
}

// start starts it, again at the address that it had.
func (s *running) start(ctx context.Context) (err error) {
	if s.server, err = spaceserver.New(spaceserver.Options{Listen: s.listen, Data: s.data, AdminAPIKey: "API-BENCH"}); err != nil {
		return err
	}
	if err := s.server.Start(ctx); err != nil {
		return err
	}
	s.listen = strings.TrimPrefix(s.server.URL(), "http://")
	return nil
}

// control makes what the control works with.
func (s *running) control(ctx context.Context) error {
	make := func(route string, values map[string]any) (string, error) {
		body, err := octopus.NewObject(values)
		if err != nil {
			return "", err
		}
		made, err := s.client.Post(ctx, octopus.Route(route), body)
		return octopus.Route(route, made.ID()), err
	}
	var err error
	if s.bareUser, err = make("users", map[string]any{"Username": "control", "DisplayName": "Control", "Password": "a long password 1"}); err != nil {
		return err
	}
	s.bareTeam, err = make("teams", map[string]any{"Name": "Control", "SpaceId": "Spaces-1", "MemberUserIds": []string{lastOf(s.bareUser)}})
	return err
}

func lastOf(route string) string { return route[strings.LastIndexByte(route, '/')+1:] }

// put reads something and writes it with one value changed.
func (s *running) put(ctx context.Context, route, name string, value any) error {
	is, err := s.client.Get(ctx, route)
	if err != nil {
		return err
	}
	is.Set(name, value)
	_, err = s.client.Put(ctx, route, is)
	return err
}

// shut does on every server, with nothing decided or recorded, what the loss of a Space takes there: out of the team, the
// account shut, its sessions revoked, its keys listed. So many at once as the reconciler has workers.
func (c *company) shut(ctx context.Context) (float64, error) {
	return c.everywhere(func(s *running) error {
		if err := s.put(ctx, s.bareTeam, "MemberUserIds", []string{}); err != nil {
			return err
		}
		if err := s.put(ctx, s.bareUser, "IsActive", false); err != nil {
			return err
		}
		if _, err := s.client.Put(ctx, s.bareUser+"/revoke-sessions", nil); err != nil {
			return err
		}
		_, err := s.client.Get(ctx, s.bareUser+"/apikeys")
		return err
	})
}

// open does what entering takes: the account opened, and into the team.
func (c *company) open(ctx context.Context) (float64, error) {
	return c.everywhere(func(s *running) error {
		if err := s.put(ctx, s.bareUser, "IsActive", true); err != nil {
			return err
		}
		return s.put(ctx, s.bareTeam, "MemberUserIds", []string{lastOf(s.bareUser)})
	})
}

func (c *company) everywhere(do func(s *running) error) (seconds float64, err error) {
	began := time.Now()
	var all errgroup.Group
	all.SetLimit(8)
	for _, s := range c.servers {
		all.Go(func() error { return do(s) })
	}
	err = all.Wait()
	return time.Since(began).Seconds(), err
}
