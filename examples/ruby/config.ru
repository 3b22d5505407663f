# A Rack application without a framework, for puma.
run lambda { |_env|
  [200, { "content-type" => "text/plain" }, ["hello from pid: #{Process.pid}\n"]]
}
