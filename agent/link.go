package agent

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"odcm/agentapi"
	"odcm/agentapi/agentapiconnect"
)

const (
	// heartbeat is how often the agent reports when nothing changes. The manager calls it offline after three.
	heartbeat = 10 * time.Second
	// question is how long the manager may hold an answer: below the idle timeouts of common proxies and address translators.
	question = 25 * time.Second
	// gather is how long changes are gathered into one report.
	gather = 5 * time.Millisecond
)

func (a *Agent) client(t http.RoundTripper) agentapiconnect.AgentServiceClient {
	return agentapiconnect.NewAgentServiceClient(&http.Client{Transport: t}, "https://"+a.Manager, connect.WithReadMaxBytes(64<<20))
}

func newRequest[T any](message *T) *connect.Request[T] { return connect.NewRequest(message) }

// errAgain says that the machine is to enrol again: the manager does not know it, or is another one.
var errAgain = errors.New("the manager does not know this machine")

// link keeps the machine enrolled and in touch until the context ends.
func (a *Agent) link(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		c, err := loadCredentials(a.folder.Identity())
		if err == nil && (!c.enrolled() || c.expired(time.Now()) || errors.Is(a.refused, errAgain)) {
			if c, err = a.enrol(ctx, c); err == nil {
				a.refused = nil
				a.Logger.Info("enrolled", "server", c.Server)
			}
		}
		if err == nil {
			a.enrolled(c.Server)
			started := time.Now()
			if err = a.talk(ctx, c); errors.Is(err, errAgain) && a.Token != nil {
				a.refused = err
			}
			if time.Since(started) > heartbeat {
				failures = 0
			}
		}
		if ctx.Err() == nil && !errors.Is(err, errRenewed) {
			a.Logger.Warn("no contact with the manager; trying again", "error", err)
			rest(ctx, failures)
		}
	}
}

// errRenewed ends a talk so that the next one begins with the new certificate.
var errRenewed = errors.New("certificate renewed")

// talk asks and reports side by side until one of them fails for good.
func (a *Agent) talk(ctx context.Context, c *credentials) error {
	t := transport(c.tls())
	defer t.CloseIdleConnections()
	client := a.client(t)
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return a.ask(ctx, client) })
	both.Go(func() error { return a.tell(ctx, client, c) })
	return both.Wait()
}

// ask asks for the desired state, one question at a time, and brings every answer about.
func (a *Agent) ask(ctx context.Context, client agentapiconnect.AgentServiceClient) error {
	var known int64
	for failures := 0; ctx.Err() == nil; {
		answer, err := call(ctx, question+10*time.Second, client, &agentapi.SyncRequest{
			KnownRevision: known, WaitMilliseconds: uint32(question.Milliseconds())})
		if err != nil {
			if fatal := a.judge(ctx, err, &failures); fatal != nil {
				return fatal
			}
			continue
		}
		failures = 0
		if d := answer.Desired; d != nil {
			a.instances.Apply(d.Instances)
			known = d.Revision
		}
	}
	return ctx.Err()
}

// tell reports what is seen, when it changes and as a heartbeat.
func (a *Agent) tell(ctx context.Context, client agentapiconnect.AgentServiceClient, c *credentials) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for failures := 0; ctx.Err() == nil; {
		request := &agentapi.SyncRequest{Observed: a.observe()}
		if now := time.Now(); c.due(now) && now.Sub(a.renewed) > time.Hour { // the pause is for clocks that disagree
			a.renewed = now
			var err error
			if request.Csr, err = c.request(); err != nil {
				return err
			}
		}
		answer, err := call(ctx, heartbeat, client, request)
		if err != nil {
			if fatal := a.judge(ctx, err, &failures); fatal != nil {
				return fatal
			}
			continue
		}
		failures = 0
		if len(answer.Certificate) > 0 {
			renewed := &credentials{Server: c.Server, Key: c.Key, Certificate: answer.Certificate, Authority: c.Authority}
			if err := renewed.parse(); err != nil {
				return err
			}
			if err := renewed.save(a.folder.Identity()); err != nil {
				return err
			}
			return errRenewed
		}
		select {
		case <-ctx.Done():
		case <-beat.C:
		case <-a.dirty:
			wait(ctx, gather)
		}
	}
	return ctx.Err()
}

func call(ctx context.Context, within time.Duration, client agentapiconnect.AgentServiceClient, m *agentapi.SyncRequest) (*agentapi.SyncResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m.Protocol = agentapi.ProtocolVersion
	answer, err := client.Sync(ctx, newRequest(m))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// judge rests after a failure that may pass, and returns one that will not.
func (a *Agent) judge(ctx context.Context, err error, failures *int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if code := connect.CodeOf(err); code == connect.CodeUnauthenticated || strange(err) {
		return errors.Join(errAgain, err)
	}
	*failures++
	a.Logger.Debug("a call to the manager failed", "error", err)
	if *failures == 5 {
		a.Logger.Warn("the manager does not answer", "manager", a.Manager, "error", err)
	}
	rest(ctx, *failures)
	return nil
}

// strange tells whether the manager's certificate is not of the authority that the machine enrolled with.
func strange(err error) bool {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &invalid)
}

// rest waits longer after each failure, up to five seconds, and never as long as others.
func rest(ctx context.Context, failures int) {
	most := min(100*time.Millisecond<<min(failures, 10), 5*time.Second)
	wait(ctx, most/2+rand.N(most/2))
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
