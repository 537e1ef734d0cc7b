package octoclient_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"odcm"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

// pretend is a server that knows one environment.
func pretend() *httptest.Server {
	environment := `{"Id":"Environments-1","Name":"Production","UseGuidedFailure":false,"NewInVersion2027":[1.0]}`
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"Application":"Octopus Deploy","Version":"2025.4.1000","ApiVersion":"3.0.0","InstallationId":"1"}`)
		case r.Header.Get(octopus.APIKeyHeader) == "":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"ErrorMessage":"You must be logged in to do this."}`)
		case r.Method == http.MethodPut:
			b, _ := io.ReadAll(r.Body)
			environment = string(b)
			fmt.Fprint(w, environment)
		case r.URL.Path == "/api/Spaces-1/environments/Environments-1":
			fmt.Fprint(w, environment)
		case r.URL.Path == "/api/Spaces-1/environments":
			fmt.Fprintf(w, `{"TotalResults":1,"Items":[%s]}`, environment)
		}
	}))
}

func Example() {
	server := pretend()
	defer server.Close()
	ctx := context.Background()
	client, err := octoclient.New(octoclient.Options{URL: server.URL, APIKey: "API-EXAMPLE"})
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := client.Root(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(root.Version())
	for environment, err := range client.List(ctx, octopus.SpaceRoute("Spaces-1", "environments")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(environment.ID(), environment.Name())
	}
	// Output:
	// 2025.4.1000
	// Environments-1 Production
}

// Update changes one field. What this version of ODCM does not know goes back to the server as it came.
func ExampleClient_Update() {
	server := pretend()
	defer server.Close()
	client, err := octoclient.New(octoclient.Options{URL: server.URL, APIKey: "API-EXAMPLE"})
	if err != nil {
		fmt.Println(err)
		return
	}
	path := octopus.SpaceRoute("Spaces-1", "environments", "Environments-1")
	o, err := client.Update(context.Background(), path, func(o *octopus.Object) error {
		o.Set("UseGuidedFailure", true)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := o.MarshalJSON()
	fmt.Printf("%s\n", b)
	// Output:
	// {"Id":"Environments-1","Name":"Production","UseGuidedFailure":true,"NewInVersion2027":[1.0]}
}

// A failure has a kind and a stable code.
func ExampleClient_Me() {
	server := pretend()
	defer server.Close()
	client, err := octoclient.New(octoclient.Options{URL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Me(context.Background())
	fmt.Println(odcm.KindOf(err), odcm.CodeOf(err))
	// Output:
	// unauthenticated octopus.unauthorized
}
