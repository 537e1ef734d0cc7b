// Package octoclient is a client of any Octopus server, of any version from [MinimumVersion] on.
//
// It takes a context everywhere, loses no field (every resource is an [odcm/octopus.Object]), pages, and repeats what may
// be repeated when the server says 429 or 503, no sooner than the server's Retry-After says. All clients of one server
// share a [Budget], so that ODCM as a whole never asks too much of it and background work never delays people:
//
//	client, err := octoclient.New(octoclient.Options{URL: address, APIKey: key, Guard: guard, Budgets: budgets})
//	root, err := client.Root(ctx)
//	for environment, err := range client.List(ctx, octopus.SpaceRoute("Spaces-1", "environments")) { ... }
//	sync := client.Background() // same server, same budget, lower priority
//
// # Errors
//
// Every failure is an [odcm.Error] with one of these codes, or a context's own error when it was canceled:
//
//	octopus.unreachable      Unavailable      no answer: name, port, firewall, time-out
//	octopus.tls              Unavailable      the certificate does not verify, or no TLS there
//	octopus.not-octopus      Invalid          something answers, and it is not Octopus
//	octopus.unauthorized     Unauthenticated  the API key is wrong, or its user disabled
//	octopus.forbidden        Denied           the key's user lacks a permission, which is named
//	octopus.not-found        NotFound
//	octopus.invalid          Invalid          with the server's own list of what is wrong
//	octopus.conflict         Conflict         changed by someone else, or a name that is taken
//	octopus.limited          Unavailable      429, for longer than the client waits
//	octopus.maintenance      Unavailable      the server is in maintenance mode
//	octopus.unavailable      Unavailable      502, 503, 504: starting, or down behind its proxy
//	octopus.failed           Unavailable      any other failure of the server
//	octopus.unsupported      Unsupported      405: this version has no such operation
//	octopus.version-too-old  Unsupported      older than MinimumVersion
//	octopus.too-large        Invalid          an answer larger than Options.MaxBody
//	octopus.url, octopus.key Invalid          not a URL, not a key; on field "url" or "apiKey"
//
// and, from [odcm/kit/egress], egress.denied and egress.redirect (Invalid). The API key is in no error, log or String.
package octoclient
