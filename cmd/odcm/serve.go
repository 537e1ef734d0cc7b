package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"odcm"
	"odcm/agent"
	"odcm/kit/egress"
	"odcm/manager"
)

func serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the manager alone, one replica of possibly several",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, func(context.Context, *manager.Manager, settings) (func(context.Context) error, error) {
				return nil, nil
			})
		},
	}
	managerFlags(cmd.Flags())
	return cmd
}

func dev() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "run the whole product on this machine: a manager and a local agent in one process",
		Long: `Runs a manager and an agent of this machine in one process, on embedded defaults. Spaces that are created run as processes
of their own and go on when this one ends; the next odcm dev finds them again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, localAgent) },
	}
	managerFlags(cmd.Flags())
	cmd.Flags().Bool("stop-instances", false, "stop the Spaces that run here with this process")
	return cmd
}

// run starts a manager and what belongs beside it, tells the operator how to get in, and stops both when asked to.
func run(cmd *cobra.Command, beside func(context.Context, *manager.Manager, settings) (func(context.Context) error, error)) error {
	s, err := load(cmd, nil)
	if err != nil {
		return err
	}
	o, err := managerOptions(cmd, s)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	m, err := manager.New(ctx, o)
	if err != nil {
		return err
	}
	if err := m.Start(ctx); err != nil {
		return errors.Join(err, stop(m.Stop))
	}
	stopBeside, err := beside(ctx, m, s)
	if err != nil {
		return errors.Join(err, stop(m.Stop))
	}
	welcome(cmd.OutOrStdout(), m, s)
	ended := make(chan error, 1)
	go func() { ended <- m.Wait() }()
	select {
	case <-ctx.Done():
	case err = <-ended: // it cannot go on
	}
	if stopBeside != nil {
		err = errors.Join(err, stop(stopBeside))
	}
	return errors.Join(err, stop(m.Stop))
}

func managerOptions(cmd *cobra.Command, s settings) (o manager.Options, err error) {
	log, err := logger(s, cmd.ErrOrStderr())
	if err != nil {
		return o, err
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return o, odcm.E(odcm.Unavailable, "manager.data", "cannot use the data folder: %v; choose another with --data", err).Because(err)
	}
	o = manager.Options{
		Version: version, Listen: s.Listen, AgentListen: s.AgentListen, Data: s.Data, Database: s.Database, PublicURL: s.PublicURL,
		AdminUsername: s.AdminUsername, AdminPassword: s.AdminPassword, AdminAPIKey: s.AdminAPIKey,
		TLSCert: s.TLSCert, TLSKey: s.TLSKey, Key: s.Key, KeyFile: s.KeyFile, ProbeEvery: s.ProbeEvery, Logger: log,
		SMTP: s.SMTP, MailFrom: s.MailFrom, BreachedPasswords: s.BreachedPasswords,
	}
	if o.Egress, err = egressPolicy(s); err != nil {
		return o, err
	}
	o.TrustedProxies, err = networks("trusted-proxies", s.TrustedProxies)
	return o, err
}

// egressPolicy reads where requests may go.
func egressPolicy(s settings) (p egress.Policy, err error) {
	if p.Allow, err = networks("egress-allow", s.EgressAllow); err != nil {
		return p, err
	}
	p.Deny, err = networks("egress-deny", s.EgressDeny)
	return p, err
}

// networks reads what a flag lists: networks, or single addresses.
func networks(flag string, from []string) (to []netip.Prefix, err error) {
	for _, text := range from {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, odcm.E(odcm.Invalid, "cli.usage", "--%s %s: want a network such as 10.0.0.0/8", flag, text)
		}
		to = append(to, prefix)
	}
	return to, nil
}

// localAgent runs the agent of this machine in this process. It enrols and connects over the wire as any other does.
func localAgent(ctx context.Context, m *manager.Manager, s settings) (func(context.Context) error, error) {
	log, err := logger(s, os.Stderr)
	if err != nil {
		return nil, err
	}
	a, err := agent.New(agent.Options{
		Data: filepath.Join(s.Data, "agent"), Manager: m.AgentAddress(), Version: version, Logger: log,
		StopInstances: s.StopInstances, Token: m.EnrolLocal,
	})
	if err != nil {
		return nil, err
	}
	return a.Stop, a.Start(ctx)
}

// welcome tells where the manager is and, on the first run, how to sign in. The password is shown this once.
func welcome(w io.Writer, m *manager.Manager, s settings) {
	fmt.Fprintf(w, "\n  ODCM is ready:  %s\n", m.URL())
	if first := m.FirstLogin(); first != nil {
		password := first.Password
		if password == "" {
			password = "(as you set it)"
		}
		fmt.Fprintf(w, "  First login:    %s  %s\n", first.Username, password)
		if first.Password != "" {
			fmt.Fprintf(w, "                  The password is shown only now; change it under Settings.\n")
		}
	}
	fmt.Fprintf(w, "  Data:           %s\n\n", s.Data)
}
