"""tapline config: which options are set, and by whom."""


def config(sandbox, *options, **env):
    done = sandbox.run([sandbox.program(), "config", *options], env=env)
    return done, dict(line.split(";  # ") for line in done.stdout.splitlines())


def test_each_source_is_named_and_the_first_wins(sandbox):
    file = sandbox.user.make_file(sandbox.work / "tapline.conf", 'drain = "7";\nquic = "refuse";\nno_proxy = ".file.example";\n')
    done, said = config(sandbox, "--config", file, "--no-proxy", ".line.example", TAPLINE_QUIC="pass", TAPLINE_NO_PROXY=".env.example")
    assert done.returncode == 0, str(done)
    assert said == {f'config = "{file}"': "--config", 'no_proxy = ".line.example"': "--no-proxy", 'quic = "pass"': "TAPLINE_QUIC",
                    'drain = "7"': f"{file}:1: drain"}


def test_nothing_set_prints_nothing(sandbox):
    done, said = config(sandbox)
    assert (done.returncode, done.stdout, said) == (0, "", {})


def test_a_password_is_not_shown(sandbox):
    done, _ = config(sandbox, TAPLINE_UPSTREAM="http://ana:hunter2@proxy.example:3128")
    assert "hunter2" not in done.stdout + done.stderr and "***" in done.stdout, str(done)


def test_what_is_printed_is_a_configuration(sandbox):
    done, _ = config(sandbox, "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--quiet", "--via", 'a"b\\c')
    file = sandbox.user.make_file(sandbox.work / "again.conf", done.stdout)
    again, said = config(sandbox, "--config", file)
    assert again.returncode == 0, str(again)
    assert {key for key in said if not key.startswith("config")} == {line.split(";  # ")[0] for line in done.stdout.splitlines()}


def test_bad_input_is_refused(sandbox):
    for options in (["--drain", "x"], ["--nonsense"], ["operand"]):
        done, _ = config(sandbox, *options)
        assert done.returncode == 2 and options[-1].lstrip("-") in done.stderr, str(done)
