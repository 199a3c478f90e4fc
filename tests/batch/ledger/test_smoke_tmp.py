import subprocess, sys
def test_it(database_url):
    out=subprocess.run([sys.executable,"/tmp/ltry.py",database_url],capture_output=True,text=True); print(out.stdout[-500:], out.stderr[-3000:]); assert out.returncode==0
