<?php
// Served by php-fpm behind a web server that speaks FastCGI.
header('Content-Type: text/plain');
echo 'hello from pid: ', getmypid(), "\n";
