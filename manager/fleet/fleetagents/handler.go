package fleetagents

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"

	"odcm"
	"odcm/agentapi"
	"odcm/manager/fleet"
)

// maxWait bounds how long an answer is held: shorter than the idle timeouts of common proxies.
const maxWait = 60 * time.Second

// handler answers agents. It turns the wire's words into the room's and back, and decides nothing.
type handler struct {
	fleet  *fleet.Service
	logger *slog.Logger
}

// Enrol implements agentapiconnect.AgentServiceHandler.
func (h *handler) Enrol(ctx context.Context, r *connect.Request[agentapi.EnrolRequest]) (*connect.Response[agentapi.EnrolResponse], error) {
	if err := speaks(r.Msg.Protocol); err != nil {
		return nil, err
	}
	token, err := agentapi.ParseToken(r.Msg.Token)
	if err != nil || token.Authority != h.fleet.Fingerprint() {
		return nil, h.refuse("enrol", fleet.ErrTokenRefused())
	}
	enrolled, err := h.fleet.Enrol(ctx, token.Hash(), r.Msg.Csr, r.Msg.Name, r.Msg.AgentVersion)
	if err != nil {
		return nil, h.refuse("enrol", err)
	}
	h.logger.Info("server enrolled", "server", enrolled.Server, "address", r.Peer().Addr)
	return connect.NewResponse(&agentapi.EnrolResponse{
		ServerId: string(enrolled.Server), Certificate: enrolled.Certificate, Authority: enrolled.Authority,
	}), nil
}

// Sync implements agentapiconnect.AgentServiceHandler.
func (h *handler) Sync(ctx context.Context, r *connect.Request[agentapi.SyncRequest]) (*connect.Response[agentapi.SyncResponse], error) {
	if err := speaks(r.Msg.Protocol); err != nil {
		return nil, err
	}
	certificate := certificateOf(ctx)
	if certificate == nil {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("a client certificate is needed: enrol first"))
	}
	server, err := h.fleet.Identify(ctx, certificate)
	if err != nil {
		return nil, h.refuse("sync", err)
	}
	var answer agentapi.SyncResponse
	if len(r.Msg.Csr) > 0 {
		if answer.Certificate, err = h.fleet.Renew(ctx, server, r.Msg.Csr); err != nil {
			return nil, h.refuse("renew", err)
		}
	}
	if r.Msg.Observed != nil {
		if err := h.fleet.Report(ctx, server.ID, reportOf(r.Msg.Observed)); err != nil {
			return nil, h.refuse("report", err)
		}
		return connect.NewResponse(&answer), nil
	}
	wait := min(time.Duration(r.Msg.WaitMilliseconds)*time.Millisecond, maxWait)
	desired, err := h.fleet.Desired(ctx, server.ID, r.Msg.KnownRevision, wait)
	if err != nil {
		return nil, h.refuse("desired", err)
	}
	answer.Desired = desiredOf(desired)
	return connect.NewResponse(&answer), nil
}

func speaks(protocol uint32) error {
	if protocol == agentapi.ProtocolVersion {
		return nil
	}
	behind := "agent"
	if protocol > agentapi.ProtocolVersion {
		behind = "manager"
	}
	return connect.NewError(connect.CodeFailedPrecondition,
		fmt.Errorf("the agent speaks protocol %d, the manager %d: upgrade the %s", protocol, agentapi.ProtocolVersion, behind))
}

// refuse maps a kind to Connect's code. The cause of an internal error goes to the log only.
func (h *handler) refuse(doing string, err error) error {
	code, ok := map[odcm.Kind]connect.Code{
		odcm.NotFound: connect.CodeNotFound, odcm.Exists: connect.CodeAlreadyExists, odcm.Invalid: connect.CodeInvalidArgument,
		odcm.Denied: connect.CodePermissionDenied, odcm.Unauthenticated: connect.CodeUnauthenticated, odcm.Conflict: connect.CodeAborted,
		odcm.Unavailable: connect.CodeUnavailable, odcm.Unsupported: connect.CodeUnimplemented,
	}[odcm.KindOf(err)]
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeCanceled, errors.New("the call ended"))
	case !ok:
		h.logger.Error("an agent's call failed", "doing", doing, "error", err)
		return connect.NewError(connect.CodeInternal, errors.New("the manager failed: see its log"))
	}
	var public *odcm.Error
	errors.As(err, &public)
	return connect.NewError(code, errors.New(public.Message))
}

type certificateKey struct{}

func certificateOf(ctx context.Context) *x509.Certificate {
	c, _ := ctx.Value(certificateKey{}).(*x509.Certificate)
	return c
}

var desiredStates = map[fleet.Desired]agentapi.DesiredState{
	fleet.Running: agentapi.DesiredState_DESIRED_STATE_RUNNING,
	fleet.Stopped: agentapi.DesiredState_DESIRED_STATE_STOPPED,
	fleet.Removed: agentapi.DesiredState_DESIRED_STATE_REMOVED,
}

func desiredOf(d *fleet.DesiredState) *agentapi.Desired {
	if d == nil {
		return nil
	}
	m := &agentapi.Desired{Revision: d.Revision}
	for _, i := range d.Instances {
		instance := &agentapi.DesiredInstance{Id: string(i.ID), Name: i.Name, Version: i.Version, State: desiredStates[i.Desired],
			Port: uint32(i.Port), KeepData: i.KeepData}
		if a := i.Administrator; a != nil {
			instance.Administrator = &agentapi.Administrator{Username: a.Username, Password: a.Password, ApiKey: a.APIKey}
		}
		m.Instances = append(m.Instances, instance)
	}
	return m
}

var states = map[agentapi.InstanceState]fleet.State{
	agentapi.InstanceState_INSTANCE_STATE_PENDING:  fleet.StatePending,
	agentapi.InstanceState_INSTANCE_STATE_STARTING: fleet.StateStarting,
	agentapi.InstanceState_INSTANCE_STATE_RUNNING:  fleet.StateRunning,
	agentapi.InstanceState_INSTANCE_STATE_BACKOFF:  fleet.StateBackoff,
	agentapi.InstanceState_INSTANCE_STATE_FAILED:   fleet.StateFailed,
	agentapi.InstanceState_INSTANCE_STATE_STOPPED:  fleet.StateStopped,
	agentapi.InstanceState_INSTANCE_STATE_REMOVED:  fleet.StateRemoved,
}

func reportOf(o *agentapi.Observed) fleet.Report {
	c := o.GetCapacity()
	r := fleet.Report{Boot: o.Boot, Sequence: o.Sequence, AgentVersion: o.AgentVersion, Versions: o.Versions,
		Capacity: fleet.Capacity{CPUs: int(c.GetCpus()), Memory: c.GetMemoryBytes(), MemoryFree: c.GetMemoryFreeBytes(), Disk: c.GetDiskBytes(),
			DiskFree: c.GetDiskFreeBytes(), InstancesMemory: c.GetInstancesMemoryBytes()},
		Instances: make(map[odcm.InstanceID]fleet.Observed, len(o.Instances))}
	for _, i := range o.Instances {
		state, ok := states[i.State]
		if !ok {
			continue // a newer agent's word that we do not know: what we saw last stays
		}
		r.Instances[odcm.InstanceID(i.Id)] = fleet.Observed{State: state, PID: i.Pid, Port: int(i.Port), URL: i.Url, Version: i.Version,
			InstallationID: i.InstallationId, Restarts: i.Restarts, Reason: i.Reason, Since: time.UnixMilli(i.SinceUnixMilliseconds), Memory: i.MemoryBytes}
	}
	return r
}
