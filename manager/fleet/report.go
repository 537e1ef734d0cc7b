package fleet

import (
	"context"
	"net/url"
	"strings"
	"time"

	"odcm"
)

// DesiredState is all that a server should run.
type DesiredState struct {
	Revision  int64
	Instances []DesiredInstance
}

// DesiredInstance is an instance with its first administrator, if it still needs one.
type DesiredInstance struct {
	Instance
	Administrator *Administrator
}

// Desired returns the desired state of the server as soon as its revision is another than the known one, or nil when the
// wait is over.
func (s *Service) Desired(ctx context.Context, id odcm.ServerID, known int64, wait time.Duration) (_ *DesiredState, err error) {
	defer odcm.Wrap(&err, "desired state of %s", id)
	changed, stop := s.watch.topic(serverTopic(id))
	defer stop()
	for deadline := s.Now().Add(wait); ; {
		server, err := s.Store.Server(ctx, id)
		if err != nil {
			return nil, err
		}
		if server.DesiredRevision != known {
			return s.desired(ctx, server)
		}
		left := deadline.Sub(s.Now())
		if left <= 0 {
			return nil, nil
		}
		if err := s.watch.wait(ctx, changed, min(left, lookAgain)); err != nil {
			return nil, err
		}
	}
}

// desired reads the revision before the instances: what changes in between comes again with the next revision.
func (s *Service) desired(ctx context.Context, server Server) (*DesiredState, error) {
	rows, err := s.Store.Instances(ctx, server.ID)
	if err != nil {
		return nil, err
	}
	d := &DesiredState{Revision: server.DesiredRevision}
	for _, row := range rows {
		di := DesiredInstance{Instance: row}
		if row.Desired != Removed && !row.Initialised() {
			a, err := s.openAdministrator(row)
			if err != nil {
				return nil, err
			}
			di.Administrator = &a
		}
		d.Instances = append(d.Instances, di)
	}
	return d, nil
}

// Report takes what an agent sees. What it says is bounded and cleaned here, because the machine may be anyone's.
func (s *Service) Report(ctx context.Context, id odcm.ServerID, r Report) (err error) {
	defer odcm.Wrap(&err, "report of %s", id)
	if len(r.Instances) > maxList || len(r.Versions) > 1000 || len(r.Boot) > maxName {
		return odcm.E(odcm.Invalid, "fleet.report-too-large", "The report names more than an agent can have.")
	}
	r.AgentVersion = clip(r.AgentVersion, maxName)
	for i, v := range r.Versions {
		r.Versions[i] = clip(v, maxName)
	}
	now := s.Now()
	for id, o := range r.Instances {
		r.Instances[id] = o.clean(now)
	}
	changes, err := s.Store.Report(ctx, id, func(server Server, rows []Instance) Changes { return r.Apply(server, rows, now) })
	if err != nil {
		return err
	}
	topics := make([]string, 0, len(changes.Updated)+len(changes.Removed)+1)
	for _, i := range changes.Updated {
		topics = append(topics, instanceTopic(i.ID))
	}
	for _, gone := range changes.Removed {
		topics = append(topics, instanceTopic(gone))
	}
	if len(topics) > 0 || changes.Touched {
		s.Bus.Publish(append(topics, serverTopic(id))...)
	}
	return nil
}

func (o Observed) clean(now time.Time) Observed {
	o.Reason = clip(strings.ToValidUTF8(strings.ReplaceAll(o.Reason, "\x00", ""), ""), maxReason)
	o.Version, o.InstallationID = cleanText(o.Version), cleanText(o.InstallationID)
	if u, err := url.Parse(o.URL); err != nil || len(o.URL) > maxURL || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		o.URL = ""
	}
	if o.Since.IsZero() || o.Since.After(now) {
		o.Since = now
	}
	o.Since = o.Since.UTC().Truncate(time.Millisecond)
	o.Memory, o.Restarts, o.PID = max(o.Memory, 0), max(o.Restarts, 0), max(o.PID, 0)
	if o.Port < 0 || o.Port > 65535 {
		o.Port = 0
	}
	return o
}

func cleanText(s string) string {
	if s == "" {
		return ""
	}
	return cleanName(s)
}
